// Sets formulas for mathematics.py: a line of JSON in, a line of JSON out.
import readline from "node:readline";
import katex from "katex";

for await (const line of readline.createInterface({ input: process.stdin })) {
  const { tex, display, macros } = JSON.parse(line);
  let answer;
  try {
    const html = katex.renderToString(tex, {
      displayMode: display,
      macros,
      output: "htmlAndMathml",
      strict: "error",
      throwOnError: true,
    });
    answer = { html: html.replace(/([";])height:-[\d.]+em;/g, "$1") }; // browsers refuse it, too
  } catch (error) {
    answer = { error: error.message };
  }
  process.stdout.write(JSON.stringify(answer) + "\n");
}
