// ONNX Runtime Web with its WebGPU execution provider.
import * as ort from 'onnxruntime-web/webgpu';

export const layout = 'nchw';

export async function load(base, size) {
  ort.env.wasm.wasmPaths = '/onnxruntime/';
  ort.env.logLevel = 'error';
  const session = await ort.InferenceSession.create(`${base}.onnx`, { executionProviders: ['webgpu'] });
  return {
    async run(input) {
      const { scores } = await session.run({ input: new ort.Tensor('float32', input, [1, 3, size, size]) });
      return Float32Array.from(scores.data);
    },
    dispose: () => session.release(),
  };
}
