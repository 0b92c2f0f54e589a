// dynaconv's own package, as it is served to anybody: unbundled.
import { Classifier } from '/pkg/index.js';

export const layout = 'nchw';

export async function load(base) {
  const classifier = await Classifier.load(`${base}.safetensors`, { device: 'gpu' });
  return {
    run: (input) => classifier.run(input),
    dispose: () => classifier.dispose(),
  };
}
