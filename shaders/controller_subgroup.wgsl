// The controller of a dynamic layer; each workgroup makes its own share of the heads.
//
// A workgroup is one subgroup, whose lanes go in step: for software. A barrier of workgroups makes some compilers keep all that
// lives across it in memory.

#import head_share
#import workgroup_vectors

fn wait_for_all() { subgroupBarrier(); }
