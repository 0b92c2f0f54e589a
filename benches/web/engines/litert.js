// LiteRT.js on WebGPU, in f32. Its model runs on the CPU without a word where an operator is not known to the GPU: that is an error here.
import { Tensor, loadAndCompile, loadLiteRt } from '@litertjs/core';

export const layout = 'nhwc';

export async function load(base, size) {
  // JSPI is what its documentation advises where the browser has it.
  await loadLiteRt('/litert/', { jspi: typeof WebAssembly.Suspending === 'function' });
  const model = await loadAndCompile(`${base}.tflite`, { accelerator: 'webgpu', gpuOptions: { precision: 'fp32' } });
  if (!model.isFullyAccelerated) throw new Error('LiteRT.js runs part of this network on the CPU');
  return {
    async run(input) {
      const tensor = await new Tensor(input, [1, size, size, 3]).moveTo('webgpu');
      const [result] = await model.run([tensor]);
      const scores = Float32Array.from(await result.data());
      tensor.delete();
      result.delete();
      return scores;
    },
    dispose: () => model.delete(),
  };
}
