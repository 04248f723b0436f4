// Texts longer than a script, or one message to the server, may be.
const MOST_BYTES = 1 << 20;
const MOST_SENT_BYTES = 5 << 19;

export function tooLong(text) {
  if (text.length * 6 <= MOST_BYTES) return false;
  return new Blob([text]).size > MOST_BYTES || new Blob([JSON.stringify(text)]).size > MOST_SENT_BYTES;
}
