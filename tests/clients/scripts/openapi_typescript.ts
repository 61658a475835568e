// What is read of a generation, and how a refusal is seen, by the types of openapi-typescript, as one line of JSON.
import type { components } from "./guidepost.js";

type Schemas = components["schemas"];
const [url, id] = process.argv.slice(2);

async function read<T>(path: string, request?: Schemas["GenerationRequest"]): Promise<T> {
  const headers = { "Content-Type": "application/json" };
  const options = request && { method: "POST", headers, body: JSON.stringify(request) };
  return (await (await fetch(url + path, options)).json()) as T;
}

const job = await read<Schemas["Generation"]>(`/v1/generations/${id}`);
const diagnostics = await read<Schemas["Diagnostics"]>(job.links.diagnostics);
const image = await fetch(url + job.images[0].url);
const problem = await read<Schemas["Problem"]>("/v1/generations", { model: "nowhere", prompt: "a circle" });
const status: string = job.status;
console.log(JSON.stringify({
  status,
  columns: Object.keys(diagnostics.images[0].columns ?? {}).sort(),
  magic: Buffer.from(await image.arrayBuffer()).subarray(0, 8).toString("hex"),
  code: problem.code,
  errors: (problem.errors ?? []).map((item) => [item.pointer, item.code]),
}));
