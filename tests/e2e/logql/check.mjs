// Reads a JSON array of {language: "logql" | "promql", expr}, writes a JSON array: "" or where the syntax error is.
import { parser as logql } from '@grafana/lezer-logql';
import { parser as promql } from '@prometheus-io/lezer-promql';
import { readFileSync } from 'node:fs';

const parsers = { logql, promql };

function syntaxError({ language, expr }) {
  let found = '';
  parsers[language].parse(expr).iterate({
    enter: (node) => {
      if (node.type.isError && !found) found = `at character ${node.from + 1}: ${expr.slice(Math.max(0, node.from - 20), node.from + 20)}`;
    },
  });
  return found;
}

process.stdout.write(JSON.stringify(JSON.parse(readFileSync(0, 'utf8')).map(syntaxError)));
