"""The simulator: modelled guests on modelled hosts, under a virtual clock and any policy.

Adapter. It runs the very `step` that the daemon runs. The rooms, from the inside out:

==============  ===============================================================================
world           what is simulated, as data: guests and their houses
population      the guests as they come and go; where the simulator touches the model
hosts           what guests hold, and what becomes of too much of it: swap, OOM killer, nodes
sampling        what a manager sees of it: dialects, periods, delays, losses
chance          luck that nobody else can change
foresight       what the clairvoyant may ask
run             the loop: `simulate`
score           keeps count, `recording` keeps series; `results` is what comes out
setting         where policies are compared: a family's guests, a host for each seed
density         the most guests that a host can hold without harm to them
sweep           many such tasks, over any executor; `studies` are those that reports are made of
tuning          the best knobs for a policy
workloads       families of guests
traces          guests that do what machines elsewhere did
scenarios       what the command line names: families, traces, files
report          tables, pictures, one page
==============  ===============================================================================
"""
