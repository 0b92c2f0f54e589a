/** What can be classified. Video is taken as the frame that it shows. */
export type PictureSource =
  | HTMLImageElement
  | HTMLCanvasElement
  | OffscreenCanvas
  | HTMLVideoElement
  | ImageBitmap
  | ImageData
  | VideoFrame;

/** A class with its probability. */
export interface Guess {
  /** Index of the class. */
  class: number;
  /** Its name; `class 7` where the model has no names. */
  label: string;
  /** From 0 to 1. */
  probability: number;
}

/** What the last picture made of a dynamic layer: W(x) = λ(x) ⊙ W₀ + P·(Φ(x) + I)·Q. */
export interface DynamicLayer {
  /** The layer's name in the network. */
  name: string;
  /** Channels of its input. */
  inputs: number;
  /** Channels of its output. */
  outputs: number;
  /** Rows and columns of Φ. */
  latent: number;
  /** λ(x), one factor from 0 to 2 for each output channel. */
  lambda: Float32Array;
  /** Φ(x), `latent` × `latent`, row after row; each row times the scale of the norm that follows it in training. */
  phi: Float32Array;
}

/** Milliseconds of the last `classify`, by the page's clock. */
export interface Timing {
  /** Handing the picture over and starting the run. 0 on the CPU. */
  prepare: number;
  /** Resizing the picture on the GPU, and the network; on the CPU with all before it. */
  network: number;
  /** From the network's end to the answer. */
  readback: number;
  /** From the call to the answer, without waiting for earlier pictures. */
  total: number;
}

/** What is known once a model is loaded. */
export interface Info {
  /** The model's name. */
  readonly model: string;
  /** What computes. */
  readonly device: "gpu" | "cpu";
  /** The GPU as the browser names it, or `CPU`. */
  readonly adapter: string;
  /** Whether the GPU is a program that computes on the CPU. */
  readonly software: boolean;
  /** A sentence for the user where the device is not what a page would wish for. */
  readonly notice: string | null;
  /** The names of the classes; empty where the model has none. */
  readonly labels: readonly string[];
  /** Number of classes. */
  readonly classes: number;
  /** Channels, height and width of the network's input. */
  readonly input: readonly [number, number, number];
  /** Layers that make their weights anew for each picture. */
  readonly dynamicLayers: number;
  /** Trained values. */
  readonly parameters: number;
  /** Launches of one run, the preparation of the picture left out. */
  readonly launches: number;
  /** How maps and weights are stored; on the CPU, how they are rounded. */
  readonly precision: "f32" | "f16";
  /** From the call of `load` to its end. */
  readonly loadMilliseconds: number;
  /** Bytes of the model file. */
  readonly bytes: number;
}

export interface LoadOptions {
  /** Told as the file arrives; `total` is null where the server does not say it. */
  onProgress?: (loaded: number, total: number | null) => void;
  /** How many of the most probable classes `classify` gives; 5 unless told. */
  topK?: number;
  /** `auto` takes the GPU, or the CPU where there is none or where it is the faster one. */
  device?: "auto" | "gpu" | "cpu";
  /** How maps and weights are stored; computed is with f32 in any case. `f16` halves their memory on a GPU; the CPU rounds
   *  them alike, but keeps them as f32. `f32` unless told. */
  precision?: "f32" | "f16";
  /** Whether a downloaded file is kept in the browser's cache `dynaconv`; true unless told. */
  cache?: boolean;
}

export interface ProfileOptions {
  /** Plain runs, and as many timed ones; 20 unless told. */
  repeats?: number;
  /** Runs of both kinds before the first that counts; 3 unless told. */
  warmUp?: number;
  /** Whether to measure what the device can do at best; true unless told. */
  roof?: boolean;
}

/** Samples in nanoseconds. */
export interface Samples {
  median: number;
  p10: number;
  p90: number;
  n: number;
  values: number[];
}

/** One launch of a profile. */
export interface DispatchProfile {
  index: number;
  layer: string;
  block: string;
  kernel: string;
  entry: string;
  variant: string;
  part: "static" | "pooling" | "controller" | "assembly" | "latent" | "branch" | "dynamic";
  shape: string;
  workgroup_size: number;
  workgroups: [number, number, number];
  buffers: { name: string; access: "read" | "write" | "scratch"; bytes: number }[];
  flops: number;
  bytes_read: number;
  bytes_written: number;
  time: Samples | null;
  intensity: number;
  flops_rate: number | null;
  bytes_rate: number | null;
  roof_share: number | null;
  predicted: number | null;
  prediction: { launch: number; arithmetic: number; memory: number } | null;
}

/** A profile; the documentation of the Rust library's `dynaconv::profile` says all of it. */
export interface Profile {
  schema: number;
  program: string;
  network: string;
  pictures: number;
  device: { name: string; api: string; kind: string; driver: string; software: boolean };
  method: { timing: string; period: number; resolution: number | null; warm_up: number; repeats: number; dropped: number };
  compilations: { pipeline: string; nanoseconds: number }[];
  runs: { first: number; plain: Samples; timed: Samples; parts: Record<string, Samples> | null };
  dispatches: DispatchProfile[];
  roof: Record<string, unknown> | null;
  timeline: Record<string, unknown> | null;
}

/** A model that is ready to answer. */
export class Classifier {
  private constructor();

  /** Downloads a model file (or takes its bytes), and compiles all that it needs. */
  static load(source: string | URL | ArrayBuffer | Uint8Array | Blob, options?: LoadOptions): Promise<Classifier>;

  /** When a lost device is replaced, what it says of the device changes. */
  readonly info: Info;
  readonly timing: Timing | null;

  /** The most probable classes, best first. The picture is copied before this returns, or later: once an earlier one is answered
   *  where two are under way already, once there is a new device where one was lost, after it was made smaller where it is too large
   *  for the device (on the CPU, `ImageData` alone), and once it is there where it is an image that is still loading. The last two are waited for, and calls made
   *  meanwhile may be answered first; else answers come in the order of the calls. Where the device is lost under a call, the picture
   *  is read once more, as it is then. */
  classify(picture: PictureSource): Promise<Guess[]>;

  /** Runs the network on prepared values, `[channels][height][width]`, all of them finite, and gives the class scores before the
   *  softmax. */
  run(input: Float32Array): Promise<Float32Array>;

  /** What the last picture made of each dynamic layer. Before the first, and before the next one where a lost device was replaced,
   *  an error of the kind `bad-input`. */
  insight(): Promise<DynamicLayer[]>;

  /** Where the time goes, launch by launch: the same data that `dynaconv profile --json` writes. Browsers may round times
   *  to 0.1 ms; what they then hide is left out. On a GPU the network is made ready a second time, and pictures are answered
   *  meanwhile, though they then disturb the times. What the GPU refuses of it is an error of the kind `device`, and the classifier
   *  goes on. */
  profile(options?: ProfileOptions): Promise<Profile>;

  /** A profile as a page of its own, with timeline, roofline and all launches: for an `iframe`'s `srcdoc`, or a file. */
  static profilePage(profile: Profile): Promise<string>;

  /** How many GPU objects were made so far, by the name of the call that made them; for tests. */
  counters(): Promise<Record<string, number>>;

  /** Destroys the GPU device, as a crash of its driver would; the next call opens another. For tests. */
  loseDevice(): void;

  /** Gives everything back. Calls under way still answer, later ones and those that wait for an image fail. */
  dispose(): void;
}

/** Every error of this package; what `onProgress` throws ends a download, and is passed on as it is. */
export class DynaconvError extends Error {
  constructor(kind: DynaconvError["kind"], message: string, options?: ErrorOptions);
  readonly kind:
    | "no-webgpu"
    | "no-adapter"
    | "limits"
    | "bad-model"
    | "bad-input"
    | "device-lost"
    | "network"
    | "disposed"
    | "device"
    | "internal";
}
