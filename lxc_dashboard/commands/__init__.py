"""The parts of the ``lxc-dashboard`` command. ``cli.py`` imports each of them when it is called."""
