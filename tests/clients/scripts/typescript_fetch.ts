// What the client of typescript-fetch reads of a generation, and how it sees a refusal, as one line of JSON.
import { Configuration, DiagnosticsApi, GenerationsApi, ImagesApi } from "./guidepost-fetch/index.js";
import { type Problem, ProblemFromJSON, ResponseError } from "./guidepost-fetch/index.js";

const [basePath, id] = process.argv.slice(2);
const configuration = new Configuration({ basePath });
const generations = new GenerationsApi(configuration);

async function refused(): Promise<Problem> {
  try {
    await generations.createGeneration({ generationRequest: { model: "nowhere", prompt: "a circle" } });
  } catch (error) {
    if (error instanceof ResponseError) return ProblemFromJSON(await error.response.json());
    throw error;
  }
  throw new Error("nothing was refused");
}

const job = await generations.getGeneration({ id });
const diagnostics = await new DiagnosticsApi(configuration).getDiagnostics({ id });
const image = await new ImagesApi(configuration).getImage({ id, index: 0 });
const problem = await refused();
console.log(JSON.stringify({
  status: job.status,
  columns: Object.keys(diagnostics.images[0].columns ?? {}).sort(),
  magic: Buffer.from(await image.arrayBuffer()).subarray(0, 8).toString("hex"),
  code: problem.code,
  errors: (problem.errors ?? []).map((item) => [item.pointer, item.code]),
}));
