"""The processes that a laboratory starts, and a clean end for each, whatever happens.

`process` is what they have in common, `sessions` finds and ends what a laboratory left, and
`places` says where their sockets and memory files go. `device` is a balloon's device, `manager`
is ``aerostat run``, `libvirtd` is a libvirt of the laboratory's own, and `nursery` has process
guests for children.
"""
