"""The application. This file is yours: it is written once and then left as it is."""

from __future__ import annotations

import hmac
import os

from flask import Flask, Response, jsonify, request

app = Flask(__name__)


@app.get("/")
def index() -> Response:
    return jsonify(message="It works")


@app.get("/health")
def health() -> Response:
    return jsonify(status="ok")


@app.get("/private")
def private() -> tuple[Response, int]:
    """For whoever knows the token that was made with this guest."""
    given = request.headers.get("Authorization", "").removeprefix("Bearer ")
    if not hmac.compare_digest(given.encode(), os.environ["APP_TOKEN"].encode()):
        return jsonify(error="a token is needed"), 401
    return jsonify(message="Welcome"), 200
