// The controller of a dynamic pointwise convolution and the assembly of its weights in one launch. What the invocations of a workgroup, a
// quad, share lies in a buffer, and they load a factor of the weights together.

#import controller_assemble
#import assembly_room
#import shared_factors
#import quad_assembly
