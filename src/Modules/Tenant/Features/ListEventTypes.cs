using System.Text.Json;
using VoicePlatform.Tenants.Events;

namespace VoicePlatform.Tenants.Features;

/// <summary>The catalogue of events, each with an example of its data.</summary>
internal static class ListEventTypes
{
    public static void Map(RouteGroupBuilder webhooks) => webhooks
        .MapGet("/event-types", () => TypedResults.Json(
            new Response([.. EventTypes.All.Select(t => new Item(t.Name, t.Description, t.Subject, Json.Read<JsonElement>(t.Example)))]), Json.Options))
        .WithName(nameof(ListEventTypes))
        .Produces<Response>();

    public sealed record Response(IReadOnlyList<Item> Data);

    public sealed record Item(string Type, string Description, string Subject, JsonElement Example);
}
