"""The parts of the ``lxc-dashboard`` command. ``cli.py`` names and describes them; each is imported when it is asked for."""
