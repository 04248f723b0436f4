"""What each request and websocket passes before a route: origin, session or token, pace, limits and headers."""
