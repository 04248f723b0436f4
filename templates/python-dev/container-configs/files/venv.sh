# Logins of the user who works here start in ~/venv.
if [ -z "${VIRTUAL_ENV:-}" ] && [ -O "$HOME/venv" ] && [ -r "$HOME/venv/bin/activate" ]; then
    . "$HOME/venv/bin/activate"
fi
