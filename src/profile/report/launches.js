// The launches of a profile, and what follows from their numbers.
import { amount, duration, percent, three } from './words.js';

/** Kinds of work, each with a colour of its name: static work in blue and green, dynamic work in warm ones. */
export const kinds = {
  conv_dense: 'dense convolution', conv_depthwise: 'depthwise convolution', conv_pointwise: 'pointwise convolution',
  conv_expand_depthwise: 'expansion and depthwise convolution',
  branch: 'with low-rank branch', conv_dynamic: 'dynamic convolution in one launch', linear: 'linear',
  controller: 'controller: pooling and MLP', assemble: 'assembly of weights', latent: 'latent map', pool: 'pooling',
  top_k: 'top-k', other: 'other',
};
// Parts that kernels of other names compute.
const parts = { branch: 'branch', assembly: 'assemble' };
export const kind = (launch) => parts[launch.part] ?? Object.keys(kinds).find((name) => launch.kernel.startsWith(name)) ?? 'other';
export const colour = (launch) => `var(--${kind(launch)})`;

export class Launches {
  constructor(profile) {
    this.profile = profile;
    this.all = profile.dispatches;
    this.resolution = profile.method.resolution ?? 0;
    this.total = this.together(this.all);
  }

  /** The time of launches together: the median of their sums in each run, as the program has it. */
  together = (members) => {
    const runs = members[0]?.time?.values.map((_, run) => members.reduce((sum, launch) => sum + launch.time.values[run], 0)) ?? [];
    const sorted = runs.sort((a, b) => a - b), middle = (sorted.length - 1) / 2;
    return sorted.length > 0 ? (sorted[Math.floor(middle)] + sorted[Math.ceil(middle)]) / 2 : 0;
  };

  median = (launch) => launch.time ? launch.time.median : null;
  /** Of the time of all launches; none where the clock does not resolve it. */
  share = (launch) => launch.time && this.total > 0 && launch.time.median >= this.resolution ? launch.time.median / this.total : null;
  /** A time that the clock does not resolve is no number. */
  resolved = (ns) => ns == null ? '–' : ns < this.resolution ? `< ${duration(this.resolution)}` : duration(ns);

  /** The part of the roof that is over a launch: `memory` or `arithmetic`. */
  limit = (launch) => {
    const { roof } = this.profile;
    if (!roof) return null;
    const bytes = launch.bytes_read + launch.bytes_written;
    const sizes = roof.memory.filter((of) => of.bytes >= bytes);
    const bandwidth = Math.max(...(sizes.length > 0 ? sizes : roof.memory.slice(-1)).map((of) => Math.max(of.copy, of.read)));
    return launch.flops / roof.f32_flops < bytes / bandwidth ? 'memory' : 'arithmetic';
  };

  /** What takes most of the predicted time: `launch`, `arithmetic` or `memory`. */
  bound = ({ prediction }) => prediction && Object.keys(prediction).reduce((a, b) => (prediction[b] > prediction[a] ? b : a));

  facts = (launch) => [
    ['kernel', `${launch.kernel} ${launch.entry}`], ['part', launch.part], ['block', launch.block], ['sizes', launch.shape],
    ['workgroups', `${launch.workgroups.join('×')} of ${launch.workgroup_size}`], ['variant', launch.variant || '–'],
    ...(launch.time ? [['median', `${this.resolved(this.median(launch))}, ${percent(this.share(launch))} of all`],
      ['p10 to p90', `${this.resolved(launch.time.p10)} to ${this.resolved(launch.time.p90)}, ${launch.time.n} samples`]] : []),
    ['operations', amount(launch.flops, 'flop')], ['read', amount(launch.bytes_read, 'B')], ['written', amount(launch.bytes_written, 'B')],
    ['intensity', `${three(launch.intensity)} flop/byte`],
    ...(launch.flops_rate ? [['reached', `${amount(launch.flops_rate, 'flop/s')}, ${amount(launch.bytes_rate, 'B/s')}`]] : []),
    ...(launch.roof_share ? [['of roof', `${percent(launch.roof_share)}, that of ${this.limit(launch)}`]] : []),
    ...(launch.predicted ? [['predicted', `${duration(launch.predicted)}${launch.prediction ? `, bound by ${this.bound(launch)}` : ''}`]] : []),
    ['buffers', launch.buffers.map((buffer) => `${buffer.name} ${amount(buffer.bytes, 'B')}`).join(', ')],
  ];
}
