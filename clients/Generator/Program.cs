using System.Text.Json.Nodes;
using VoicePlatform.ClientGenerator;

// Writes the generated part of the C# client: generator v1.json Client.g.cs
if (args is not [var document, var target])
{
    await Console.Error.WriteLineAsync("usage: generator <openapi document> <file to write>");
    return 2;
}

var api = JsonNode.Parse(await File.ReadAllTextAsync(document))!.AsObject();
await File.WriteAllTextAsync(target, new CSharp(api).Write());
return 0;
