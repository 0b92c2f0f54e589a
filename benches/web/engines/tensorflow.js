// TensorFlow.js with its WebGPU backend.
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-webgpu';
import { loadGraphModel } from '@tensorflow/tfjs-converter';

export const layout = 'nhwc';

export async function load(base, size) {
  if (!(await tf.setBackend('webgpu'))) throw new Error('TensorFlow.js could not start its WebGPU backend');
  await tf.ready();
  const model = await loadGraphModel(`${base}.tfjs/model.json`);
  return {
    async run(input) {
      const result = tf.tidy(() => model.execute({ input: tf.tensor(input, [1, size, size, 3]) }));
      const scores = await result.data();
      result.dispose();
      return scores;
    },
    dispose: () => model.dispose(),
  };
}
