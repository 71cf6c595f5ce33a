// The certified provider for the sign-in of people. Started as `node people.js PORT`; its settings come as one line of
// JSON on stdin ({jwks, client, claims}). Whoever comes is signed in at once as the person of the claims, who consents
// to all. It says "ready" when it answers, and ends when its stdin does.
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { Provider } from "oidc-provider";

const issuer = `http://127.0.0.1:${process.argv[2]}`;
let answer = (request, response) => response.writeHead(503).end();

function provider({ jwks, client, claims }) {
  const made = new Provider(issuer, {
    jwks,
    clients: [{
      ...client, response_types: ["code"], grant_types: ["authorization_code"],
      id_token_signed_response_alg: jwks.keys[0].alg,
    }],
    claims: { openid: ["sub", ...Object.keys(claims)], profile: ["name"] },
    conformIdTokenClaims: false,
    clientAuthMethods: ["client_secret_basic", "private_key_jwt", "none"],
    enabledJWA: { clientAuthSigningAlgValues: ["ES256", "PS256"] },
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, ...claims }) }),
    interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
    features: { devInteractions: { enabled: false }, rpInitiatedLogout: { enabled: true } },
  });
  made.on("server_error", (_, error) => console.error(error));
  const callback = made.callback();
  return async (request, response) => {
    if (!request.url.startsWith("/interaction/")) return callback(request, response);
    const { prompt, params, session } = await made.interactionDetails(request, response);
    let result = { login: { accountId: "person-1" } };
    if (prompt.name === "consent") {
      const grant = new made.Grant({ accountId: session.accountId, clientId: params.client_id });
      grant.addOIDCScope(params.scope);
      result = { consent: { grantId: await grant.save() } };
    }
    return made.interactionFinished(request, response, result, { mergeWithLastSubmission: true });
  };
}

const server = createServer((request, response) => answer(request, response));
server.listen(Number(process.argv[2]), "127.0.0.1");
for await (const line of createInterface({ input: process.stdin })) {
  answer = provider(JSON.parse(line));
  console.log("ready");
}
process.exit(0);
