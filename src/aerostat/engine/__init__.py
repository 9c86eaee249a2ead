"""The brain: what the host and the guests say goes in, a plan comes out.

``observe -> estimate -> decide -> plan``, as one pure function, `aerostat.engine.step.step`. It
reads no clock, opens no file and knows no hypervisor; what it has learned is in its `State`, a
value that can be saved. The daemon, the simulator and a replay call the very same function.

Everything is columnar: one row a guest, with a column that says on which host it is, so that one
call serves one host of fifty guests or a thousand hosts.

The rooms, in the order in which a figure passes through them:

=============  ================================================================================
observation    what goes in: the columns of hosts and guests
state          what was learned before: versioned, saved, loaded
estimates      demand, reserve and confidence of each guest
trust          how far its word is believed
reserves       what each must keep spare, and which part of that there is room for
files          what it keeps of files: how much that is, and what it is worth
pressure       how much it suffers, and what that shows in
accounts       size, held and outstanding memory, the ledger of grants, what is reserved
strain         how the host itself fares, whatever its budget says
convergence    how each balloon moves: its speed, and whether it gets on
gain           whether the host gains what balloons take
conditions     how far each guest can be managed: a state machine, one table
fill           exact weighted water-filling, for all hosts at once
targets        the policy: which size each guest should have
safeguards     the promises: which part of that may be done now
plan           what comes out: moves, and a sentence for each
step           the walk through them
settings       every constant, with its reason
=============  ================================================================================

NumPy and the standard library; nothing of this package does I/O.
"""
