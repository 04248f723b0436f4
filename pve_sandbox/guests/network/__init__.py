"""The guests' network: links, packet rules and the way to other machines."""
