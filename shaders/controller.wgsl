// The controller of a dynamic layer; each workgroup makes its own share of the heads.

#import head_share
#import workgroup_vectors

fn wait_for_all() { workgroupBarrier(); }
