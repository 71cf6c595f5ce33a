// The certified provider for the tests. Started as `node driver.js PORT`; its settings come as one line of JSON on
// stdin ({jwks, client, audience, claims}), and each further line replaces them: that is how keys are rotated. It says
// "ready" when it answers. It ends when its stdin does.
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { Provider } from "oidc-provider";

const issuer = `http://127.0.0.1:${process.argv[2]}`;
let answer = (request, response) => response.writeHead(503).end();

function provider({ jwks, client, audience, claims }) {
  const scopes = client.scope.split(" ");
  const algorithm = jwks.keys[0].alg;
  const made = new Provider(issuer, {
    jwks,
    clients: [{
      ...client, redirect_uris: [], response_types: [], grant_types: ["client_credentials"],
      token_endpoint_auth_method: "private_key_jwt", id_token_signed_response_alg: algorithm,
    }],
    scopes,
    clientAuthMethods: ["private_key_jwt"],
    extraTokenClaims: () => claims,
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      dPoP: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => "urn:registry",
        getResourceServerInfo: () => ({
          scope: client.scope, audience, accessTokenFormat: "jwt", accessTokenTTL: 300,
          jwt: { sign: { alg: algorithm } },
        }),
      },
    },
  });
  made.on("server_error", (_, error) => console.error(error));
  return made.callback();
}

const server = createServer((request, response) => answer(request, response));
server.listen(Number(process.argv[2]), "127.0.0.1");
for await (const line of createInterface({ input: process.stdin })) {
  answer = provider(JSON.parse(line));
  console.log("ready");
}
process.exit(0);
