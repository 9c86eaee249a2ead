"""What a manager exports for Prometheus.

A face: `families` and `guest_families` say what is exported, `tally` counts what a snapshot does
not, `exposition` writes the text, `service` gives it to who asks, `listener` serves it on a TCP
port.
"""
