// The controller of a dynamic pointwise convolution and the assembly of its weights in one launch.

#import controller_assemble
#import workgroup_vectors
#import workgroup_heads
#import shared_factors
#import plain_assembly

fn wait_for_all() { workgroupBarrier(); }
