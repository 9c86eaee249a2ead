"""What was recorded, looked at again: the engine run over a journal, a guest's past told and drawn.

=============  ================================================================================
steps          the very same engine over recorded ticks, and another beside it
policies       which other: by name, or setting by setting
comparison     whether decisions are the same, and where each guest's first differs
past           a guest's or host's figures over time, from ticks or from what was rolled up
timeline       a guest's moves: why, what was asked, what came of it
axes           round figures for scales, of bytes and of time
chart          the past in a terminal
drawing        the past as SVG
=============  ================================================================================

A face: reads journals through the daemon's reader, and changes nothing.
"""
