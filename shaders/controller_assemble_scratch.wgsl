// The controller of a dynamic pointwise convolution and the assembly of its weights in one launch. What the invocations of a workgroup
// share lies in a buffer.

#import controller_assemble
#import assembly_room
#import shared_factors
#import plain_assembly
