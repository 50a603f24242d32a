// The identity provider of the tests: a real one (OpenID Connect), with people who do not exist. It is for tests alone:
// whoever types a login is that person, whatever the password.
//
//   node provider.mjs [PORT [REDIRECT]]     REDIRECT: where else the desk may be
//
// It prints its issuer once it answers, and ends with its standard input.
import {createServer} from 'node:http'
import Provider from 'oidc-provider'

const people = {
  ann: {name: 'Ann Analyst', groups: ['vawg-analysts']},
  oscar: {name: 'Supt Oscar Officer', groups: ['vawg-superintendents', 'everybody']},
  olive: {name: 'Supt Olive Officer', groups: ['vawg-superintendents']},
  chief: {name: 'Ch Supt Cleo Chief', groups: ['vawg-analysts', 'vawg-superintendents']},
  harry: {name: 'PS Harry Hackney', groups: ['hackney-vawg']},
  barbara: {name: 'PS Barbara Barnet', groups: ['barnet-vawg']},
  silvia: {name: 'DS Silvia Specialist', groups: ['sapphire']},
  dora: {name: 'Dora Desk', groups: ['central-desk']},
  percy: {name: 'DI Percy Standards', groups: ['professional-standards']},
  aud: {name: 'Aud Auditor', groups: 'audit'}, // one text, as some providers write a single group
  olga: {name: 'Olga Operator', groups: ['platform']},
  nemo: {name: 'Nemo Nobody', groups: ['everybody']},
  groupless: {name: 'Nell Groupless'},
  nameless: {groups: ['vawg-superintendents']},
  markup: {name: '<script>alert(1)</script>', groups: ['vawg-analysts']},
}

const server = createServer()
await new Promise((up) => server.listen(Number(process.argv[2] ?? 0), '127.0.0.1', up))
const issuer = `http://127.0.0.1:${server.address().port}`

const provider = new Provider(issuer, {
  clients: [
    {
      client_id: 'harmstack-desk', client_secret: 'a secret of the tests',
      redirect_uris: ['https://desk.example/sign-in/callback', 'http://localhost:8088/sign-in/callback',
        ...process.argv.slice(3)],
    },
    {
      client_id: 'harmstack-cli', token_endpoint_auth_method: 'none',
      grant_types: ['urn:ietf:params:oauth:grant-type:device_code', 'refresh_token'], response_types: [], redirect_uris: [],
    },
    // Temporal's web UI, and a service that has nothing to do with Harmstack.
    ...['temporal-ui', 'elsewhere'].map((client_id) => ({
      client_id, token_endpoint_auth_method: 'none',
      grant_types: ['urn:ietf:params:oauth:grant-type:device_code'], response_types: [], redirect_uris: [],
    })),
  ],
  features: {deviceFlow: {enabled: true}},
  pkce: {required: () => true},
  claims: {openid: ['sub'], profile: ['name', 'groups']},
  conformIdTokenClaims: false, // name and groups stand in the identity token
  findAccount: (_ctx, id) => {
    const person = people[id.replace(/-\d+$/, '')] // harry-17 is one of many like harry
    return person && {accountId: id, claims: () => ({sub: id, ...person})}
  },
  // Nobody is asked whether the desk may know their name.
  async loadExistingGrant({oidc}) {
    const grant = new oidc.provider.Grant({clientId: oidc.client.clientId, accountId: oidc.session.accountId})
    grant.addOIDCScope('openid profile')
    await grant.save()
    return grant
  },
})
server.on('request', provider.callback())
console.log(issuer)

process.stdin.resume()
process.stdin.on('end', () => process.exit())
