// Reads AsyncAPI documents with the official parser: one line of JSON a file, with what it has to say against it.
import {readFileSync} from "node:fs";
import {Parser} from "@asyncapi/parser";

const parser = new Parser();
for (const file of process.argv.slice(2)) {
  const {document, diagnostics} = await parser.parse(readFileSync(file, "utf8"), {source: file});
  const found = diagnostics.map(({code, message, severity, path}) => ({code, message, severity, path: path.join("/")}));
  const told = document && {
    channels: document.channels().all().length,
    operations: document.operations().all().length,
    messages: document.messages().all().length,
  };
  process.stdout.write(JSON.stringify({file, told: told ?? null, diagnostics: found}) + "\n");
}
