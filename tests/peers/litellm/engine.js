// Prisma's query engine for LiteLLM's Python client, without the binary that Prisma's installer downloads.
//
// prisma-client-py starts a program, `-p PORT`, and asks it over HTTP in GraphQL. This is that program: it translates each
// question into the engine's JSON protocol and hands it to Prisma's own engine, the WebAssembly build that the npm package
// @prisma/client ships. The engine plans the queries and makes the SQL; @prisma/adapter-pg sends it to PostgreSQL.
'use strict';

const fs = require('fs');
const http = require('http');
const path = require('path');
const { Pool, types } = require('pg');
const { PrismaPg } = require('@prisma/adapter-pg');
const { bindAdapter } = require('@prisma/driver-adapter-utils');
const { parse } = require('graphql');

const runtime = path.join(path.dirname(require.resolve('@prisma/client/package.json')), 'runtime');
const wasm = require(path.join(runtime, 'query_engine_bg.postgresql.js'));

const ACTION = /^(findMany|findFirst|findUnique|createOne|createMany|updateOne|updateMany|upsertOne|deleteOne|deleteMany|aggregate|groupBy)(.*?)(OrThrow)?$/;

// --- From GraphQL to the JSON protocol

// model -> field -> type, as the schema has it.
const models = {};

function readModels(schema) {
  for (const [, name, body] of schema.matchAll(/^model (\w+) \{([^]*?)^\}/gm)) {
    const fields = [...body.matchAll(/^\s+(\w+)\s+(\w+)/gm)];
    models[name] = Object.fromEntries(fields.map(([, field, type]) => [field, type]));
  }
}

function valueOf(node) {
  switch (node.kind) {
    case 'FloatValue':
      return Number(node.value);
    case 'IntValue':
      return Number.isSafeInteger(Number(node.value)) ? Number(node.value) : node.value;
    case 'ListValue':
      return node.values.map(valueOf);
    case 'ObjectValue':
      return Object.fromEntries(node.fields.map((field) => [field.name.value, valueOf(field.value)]));
    case 'NullValue':
      return null;
    default:
      return node.value;
  }
}

// GraphQL writes JSON as a string; the JSON protocol wants to be told that it is none.
function asJson(held) {
  if (typeof held === 'string') return { $type: 'Json', value: held };
  if (Array.isArray(held)) return held.map(asJson);
  if (!held || typeof held !== 'object') return held;
  return Object.fromEntries(Object.entries(held).map(([name, inner]) => [name, name === 'path' ? inner : asJson(inner)]));
}

function withTypes(held, model) {
  if (Array.isArray(held)) return held.map((one) => withTypes(one, model));
  if (!held || typeof held !== 'object') return held;
  return Object.fromEntries(
    Object.entries(held).map(([name, inner]) => {
      const type = (models[model] || {})[name];
      return [name, type === 'Json' ? asJson(inner) : withTypes(inner, models[type] ? type : model)];
    }),
  );
}

function fieldOf(node) {
  const chosen = node.selectionSet ? node.selectionSet.selections : [];
  const selection = chosen.map((one) => [one.name.value, one.selectionSet || one.arguments.length ? fieldOf(one) : true]);
  const given = node.arguments.map((one) => [one.name.value, valueOf(one.value)]);
  return { arguments: Object.fromEntries(given), selection: Object.fromEntries(selection) };
}

function questionOf(text) {
  const root = parse(text).definitions[0].selectionSet.selections[0];
  const name = root.name.value;
  const query = fieldOf(root);
  if (name === 'queryRaw' || name === 'executeRaw') return { action: name, query };
  const [, verb, model, orThrow = ''] = ACTION.exec(name);
  return { modelName: model, action: verb + orThrow, query: { ...query, arguments: withTypes(query.arguments, model) } };
}

// --- And the answer back

function plain(held) {
  if (Array.isArray(held)) return held.map(plain);
  if (!held || typeof held !== 'object') return held;
  if ('$type' in held) return held.value;
  return Object.fromEntries(Object.entries(held).map(([name, inner]) => [name, plain(inner)]));
}

function answerOf(said, question) {
  if (said.errors) return said;
  const result = Object.values(said.data)[0];
  return { data: { result: question.action === 'queryRaw' ? result : plain(result) } };
}

// --- The engine

async function started() {
  const schema = fs.readFileSync(process.env.PRISMA_DML_PATH, 'utf8');
  readModels(schema);
  // This build of the engine works through an adapter only, which is a preview feature of this version.
  const datamodel = schema.replace(/(provider\s*=\s*"prisma-client-py")/, '$1\n  previewFeatures = ["driverAdapters"]');
  const pool = new Pool({ connectionString: process.env.DATABASE_URL });
  // The adapter knows no `name`, PostgreSQL's type of identifiers, in which LiteLLM asks for the names of views.
  types.setTypeParser(1003, types.getTypeParser(1009));
  const query = pool.query.bind(pool);
  pool.query = async (...given) => {
    const found = await query(...given);
    for (const one of found.fields || []) one.dataTypeID = { 19: 25, 1003: 1009 }[one.dataTypeID] || one.dataTypeID;
    return found;
  };
  const compiled = new WebAssembly.Module(fs.readFileSync(path.join(runtime, 'query_engine_bg.postgresql.wasm')));
  wasm.__wbg_set_wasm(new WebAssembly.Instance(compiled, { './query_engine_bg.js': wasm }).exports);
  const settings = {
    datamodel,
    env: process.env,
    logQueries: false,
    logLevel: 'error',
    ignoreEnvVarErrors: true,
    datasourceOverrides: {},
    configDir: '.',
    engineProtocol: 'json',
    enableTracing: false,
  };
  const engine = new wasm.QueryEngine(settings, () => {}, bindAdapter(new PrismaPg(pool)));
  await engine.connect('{}');
  return engine;
}

async function handle(engine, url, body, transaction) {
  const ask = async (question) => JSON.parse(await engine.query(JSON.stringify(question), '{}', transaction));
  if (url === '/status') return { status: 'ok' };
  if (url === '/transaction/start') return JSON.parse(await engine.startTransaction(body, '{}'));
  const ending = /^\/transaction\/([^/]+)\/(commit|rollback)$/.exec(url);
  if (ending) return JSON.parse(await engine[`${ending[2]}Transaction`](ending[1], '{}'));
  const asked = JSON.parse(body);
  if (!asked.batch) {
    const question = questionOf(asked.query);
    return answerOf(await ask(question), question);
  }
  const batch = asked.batch.map((one) => questionOf(one.query));
  const said = await ask({ batch, transaction: asked.transaction ? {} : undefined });
  return said.errors ? said : { batchResult: said.batchResult.map((one, place) => answerOf(one, batch[place])) };
}

started().then((engine) => {
  const server = http.createServer((request, response) => {
    const parts = [];
    request.on('data', (part) => parts.push(part));
    request.on('end', async () => {
      let said;
      try {
        said = await handle(engine, request.url, Buffer.concat(parts).toString(), request.headers['x-transaction-id']);
      } catch (error) {
        response.statusCode = 500;
        said = { errors: [{ error: String(error) }] };
      }
      if (said.errors) console.error(JSON.stringify(said.errors).slice(0, 1000));
      response.setHeader('Content-Type', 'application/json');
      response.end(JSON.stringify(said));
    });
  });
  server.listen(Number(process.argv[process.argv.indexOf('-p') + 1]), '127.0.0.1');
});

for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(0));
