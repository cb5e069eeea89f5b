// One message through the AWS Encryption SDK: what to do is on stdin, the answer on
// stdout. Credentials, endpoint and CA come from the environment.
import { buildClient, CommitmentPolicy, getLocalCryptographicMaterialsCache, KmsKeyringNode,
  NodeCachingMaterialsManager } from "@aws-crypto/client-node";
import { text } from "node:stream/consumers";

const { encrypt, decrypt } = buildClient(CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT);
const job = JSON.parse(await text(process.stdin));

function keyring({ generator, keys, discover, tokens: grantTokens }) {
  if (discover) return new KmsKeyringNode({ discovery: true, discoveryFilter: { partition: "aws", accountIDs: discover }, grantTokens });
  return new KmsKeyringNode({ generatorKeyId: generator, keyIds: keys, grantTokens });
}

const out = {};
if (job.encrypt !== undefined) {
  let materials = keyring(job);
  if (job.messages) { // several under one data key
    materials = new NodeCachingMaterialsManager({ backingMaterials: materials, cache: getLocalCryptographicMaterialsCache(10), maxAge: 60_000 });
  }
  out.messages = [];
  for (let i = 0; i < (job.messages ?? 1); i++) {
    const { result } = await encrypt(materials, Buffer.from(job.encrypt), { encryptionContext: job.context });
    out.messages.push(result.toString("base64"));
  }
} else {
  const { plaintext, messageHeader } = await decrypt(keyring(job), Buffer.from(job.decrypt, "base64"));
  for (const [name, value] of Object.entries(job.context ?? {})) {
    if (messageHeader.encryptionContext[name] !== value) throw new Error(`the message has another ${name}`);
  }
  out.plaintext = plaintext.toString();
  out.keys = messageHeader.encryptedDataKeys.map((k) => k.providerInfo);
}
console.log(JSON.stringify(out));
