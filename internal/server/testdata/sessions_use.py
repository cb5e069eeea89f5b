# Each session makes one call; what it answers is printed: "good", or a code.
got = []
for keys in json.loads(sys.argv[1]):
    try:
        client("sts", keys).get_caller_identity()
        got.append("good")
    except botocore.exceptions.ClientError as e:
        got.append(e.response["Error"]["Code"])
print(json.dumps(got))
