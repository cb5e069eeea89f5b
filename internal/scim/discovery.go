package scim

// What the server can do and how its resources look: the same for everybody who
// holds a token, and nothing of the directory. It leaves no record.

func providerConfig(base string) object {
	no := object{"supported": false}
	return object{
		"schemas": []any{"urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"},
		"patch":   object{"supported": true}, "etag": object{"supported": true}, "sort": no, "changePassword": no,
		"bulk":   object{"supported": false, "maxOperations": 0, "maxPayloadSize": maxBody},
		"filter": object{"supported": true, "maxResults": maxCount},
		"authenticationSchemes": []any{object{
			"type": "oauthbearertoken", "name": "Bearer token", "primary": true,
			"description": "A token that `bawn scim create-token` made, valid for a year. Two may be valid at a time.",
		}},
		"meta": object{"resourceType": "ServiceProviderConfig", "location": base + "/ServiceProviderConfig"},
	}
}

func resourceTypes(base string) []any {
	var all []any
	for _, t := range []*resourceType{users, groups} {
		o := object{
			"schemas": []any{"urn:ietf:params:scim:schemas:core:2.0:ResourceType"},
			"id":      t.name, "name": t.name, "endpoint": "/" + t.endpoint, "schema": t.urn,
			"meta": object{"resourceType": "ResourceType", "location": base + "/ResourceTypes/" + t.name},
		}
		if t.extension != nil {
			o["schemaExtensions"] = []any{object{"schema": enterpriseURN, "required": false}}
		}
		all = append(all, o)
	}
	return all
}

func schemas(base string) []any {
	one := func(urn, name string, attributes []attribute) object {
		return object{
			"schemas": []any{"urn:ietf:params:scim:schemas:core:2.0:Schema"},
			"id":      urn, "name": name, "attributes": describeAll(attributes),
			"meta": object{"resourceType": "Schema", "location": base + "/Schemas/" + urn},
		}
	}
	return []any{one(userURN, "User", userAttributes), one(enterpriseURN, "EnterpriseUser", enterpriseAttributes), one(groupURN, "Group", groupAttributes)}
}

// discovered answers one of the lists of discovery, or one thing of it by id.
func discovered(list []any, id string) (object, error) {
	if id == "" {
		return object{"schemas": []any{listURN}, "totalResults": len(list), "startIndex": 1, "itemsPerPage": len(list), "Resources": list}, nil
	}
	for _, x := range list {
		if o, ok := x.(object); ok && o["id"] == id {
			return o, nil
		}
	}
	return nil, notFound(id)
}
