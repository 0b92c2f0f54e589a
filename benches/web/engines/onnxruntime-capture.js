// ONNX Runtime Web with graph capture: the launches of the first run are kept and replayed, which asks for input and output on the GPU.
import * as ort from 'onnxruntime-web/webgpu';

export const layout = 'nchw';

export async function load(base, size) {
  ort.env.wasm.wasmPaths = '/onnxruntime/';
  ort.env.logLevel = 'error';
  const session = await ort.InferenceSession.create(`${base}.onnx`, {
    executionProviders: ['webgpu'],
    enableGraphCapture: true,
    preferredOutputLocation: 'gpu-buffer',
  });
  const device = await ort.env.webgpu.device;
  const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST | GPUBufferUsage.COPY_SRC;
  const buffer = device.createBuffer({ size: 4 * 3 * size * size, usage });
  const tensor = ort.Tensor.fromGpuBuffer(buffer, { dataType: 'float32', dims: [1, 3, size, size] });
  return {
    async run(input) {
      device.queue.writeBuffer(buffer, 0, input);
      const { scores } = await session.run({ input: tensor });
      return Float32Array.from(await scores.getData());
    },
    async dispose() {
      await session.release();
      buffer.destroy();
    },
  };
}
