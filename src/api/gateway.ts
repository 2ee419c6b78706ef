/** Answers that no service's document lists: the clouds give them at their API gateway, so they carry its codes. */

export interface ErrorRow { readonly status: number; readonly code: string; readonly message: string }

export const gateway = {
  signature: { status: 401, code: 'APIGW.0301', message: 'Incorrect IAM authentication information: the request signature does not verify.' },
  unsignedHost: { status: 401, code: 'APIGW.0301', message: 'Incorrect IAM authentication information: host and x-sdk-date must be among the signed headers.' },
  staleSignature: { status: 401, code: 'APIGW.0301', message: "Incorrect IAM authentication information: X-Sdk-Date is missing, or more than 15 minutes from this server's clock." },
  tooLarge: { status: 413, code: 'APIGW.0201', message: 'The request entity is larger than 1 MiB.' },
  malformed: { status: 400, code: 'APIGW.0201', message: 'Bad request: this is not a well-formed HTTP request.' },
  noRoute: { status: 404, code: 'APIGW.0101', message: 'The API does not exist or has not been published.' },
  wrongMethod: { status: 405, code: 'APIGW.0101', message: 'The API does not have this method.' },
  fault: { status: 500, code: 'APIGW.0202', message: 'Internal error.' },
  tooMany: { status: 429, code: 'APIGW.0308', message: 'The throttling threshold has been reached: this token or access key sends more requests than SLUICE_RATE_LIMIT allows.' },
  unavailable: { status: 503, code: 'APIGW.0203', message: "The service is unavailable: its database does not answer. Whatever was accepted is kept; send this request again in a few seconds." },
} as const satisfies Record<string, ErrorRow>

/** Reads a table of documented errors: status, code and message, separated by tabs, below one line of headings. */
export function errorRows(text: string): ReadonlyMap<string, ErrorRow> {
  return new Map(text.trim().split('\n').slice(1).map((line) => {
    const [status, code, message] = line.split('\t') as [string, string, string]
    return [code, { status: Number(status), code, message }] as const
  }))
}
