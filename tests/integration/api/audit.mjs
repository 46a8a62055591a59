// Runs the official audits of GraphQL over HTTP against the URL given, and prints each one's id, name and result as JSON.
import { createRequire } from "node:module";

const [, , url, folder] = process.argv;
const { auditServer } = createRequire(`${folder}/`)("graphql-http");
const results = await auditServer({ url, fetchFn: fetch });
console.log(JSON.stringify(results.map(({ id, name, status, reason }) => ({ id, name, status, reason }))));
