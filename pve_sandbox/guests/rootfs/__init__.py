"""The root file system of a guest: a shared base and the guest's own layer."""
