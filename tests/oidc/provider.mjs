// A real OpenID Connect provider (oidc-provider) with three people; it logs in whom `login_hint` names, without asking.
// Prints its port when it listens. POST /rotate replaces its signing key.
import { generateKeyPairSync, randomUUID } from "node:crypto";
import { createServer } from "node:http";
import Provider from "oidc-provider";

const people = {
  ada: { preferred_username: "Ada", groups: ["astro-curators", "vlt"] },
  isaac: { preferred_username: "isaac", groups: ["guests"] },
  root: { preferred_username: process.argv[2], groups: ["astro-curators"] },
};

function newKey() {
  const key = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey.export({ format: "jwk" });
  return { ...key, kid: randomUUID(), use: "sig", alg: "RS256" };
}

function makeProvider(issuer) {
  const provider = new Provider(issuer, {
    clients: [{
      client_id: "thaw", client_secret: "the-secret-of-thaw", redirect_uris: ["http://portal.test/login/oidc/done"],
      response_types: ["code"], grant_types: ["authorization_code"],
    }],
    jwks: { keys: [newKey()] },
    cookies: { keys: [randomUUID()] },
    claims: { openid: ["sub"], profile: ["preferred_username", "groups"] },
    pkce: { required: () => true },
    features: { devInteractions: { enabled: false } },
    interactions: { url: (_ctx, interaction) => `/interaction/${interaction.uid}` },
    findAccount: (_ctx, id) => ({ accountId: id, claims: () => ({ sub: id, ...people[id] }) }),
    ttl: { AccessToken: 60, AuthorizationCode: 60, IdToken: 60, Interaction: 60, Session: 60, Grant: 60 },
  });
  provider.use(async (ctx, next) => {
    if (!ctx.path.startsWith("/interaction/")) return next();
    const { params, prompt, session, grantId } = await provider.interactionDetails(ctx.req, ctx.res);
    if (params.login_hint === "nobody") {
      return provider.interactionFinished(ctx.req, ctx.res, { error: "access_denied", error_description: "not you" });
    }
    if (prompt.name === "login") {
      return provider.interactionFinished(ctx.req, ctx.res, { login: { accountId: params.login_hint } });
    }
    const grant = grantId ? await provider.Grant.find(grantId) : new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
    grant.addOIDCScope("openid profile");
    return provider.interactionFinished(ctx.req, ctx.res, { consent: { grantId: await grant.save() } }, { mergeWithLastSubmission: true });
  });
  return provider;
}

let listen;
const server = createServer((request, response) => {
  if (request.url === "/rotate") {
    listen = makeProvider(`http://127.0.0.1:${server.address().port}`).callback();
    return response.end("rotated");
  }
  return listen(request, response);
});
server.listen(0, "127.0.0.1", () => {
  const { port } = server.address();
  listen = makeProvider(`http://127.0.0.1:${port}`).callback();
  console.log(port);
});
