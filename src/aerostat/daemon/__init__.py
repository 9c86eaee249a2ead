"""The manager: the loop around the engine, its configuration, its journal and its local API.

An adapter. Everything that decides is in `aerostat.engine`; this package brings it figures,
carries out its plans and shows what was done. Import the modules themselves: this one imports
nothing, so that a client of the API stays light.
"""
