"""The domains of a libvirtd, by a helper process on the distribution's own Python.

`connector` is what the manager sees; `helper` is the program that makes libvirt's calls, and `link`
one such process; `session` keeps one alive, `domain` dates one guest's figures.
"""
