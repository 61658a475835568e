// OpenAI's client for node, as it is: what it makes of the service at argv[2], as JSON.
import OpenAI from "openai";

const client = new OpenAI({ baseURL: process.argv[2], apiKey: "none", maxRetries: 0 });
const ours = { seed: 7, sampler: { type: "ddim", steps: 3 } };
const asked = { prompt: "a red circle", ...ours };
const told = {};

const plain = await client.images.generate({ ...asked, n: 2 });
told.images = plain.data.map((image) => image.b64_json);

const linked = await client.images.generate({ ...asked, response_format: "url" });
const bytes = await (await fetch(linked.data[0].url)).arrayBuffer();
told.fetched = Buffer.from(bytes).toString("base64");

const stream = await client.images.generate({ ...asked, stream: true, partial_images: 1 });
told.events = [];
for await (const event of stream) told.events.push([event.type, event.b64_json]);

told.models = [];
for await (const model of client.models.list()) told.models.push(model.id);

told.errors = [];
for (const wrong of [{ size: "60x64" }, { model: "gpt-image-1" }]) {
  try {
    await client.images.generate({ ...asked, ...wrong });
  } catch (error) {
    told.errors.push([error.constructor.name, error.param, error.code, error.message]);
  }
}
console.log(JSON.stringify(told));
