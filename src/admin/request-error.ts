/** What is told to the client instead of an answer; its message too. */
export class RequestError extends Error {
  constructor(
    readonly statusCode: 400 | 404 | 409 | 503 | 504,
    message: string,
  ) {
    super(message);
  }
}
