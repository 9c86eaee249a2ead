"""Connectors: how the manager reaches the balloons of a hypervisor.

Each connector translates one hypervisor's words and units into the contract of
`aerostat.hypervisors.base`; nothing above this package knows which hypervisor a guest runs on.
"""
