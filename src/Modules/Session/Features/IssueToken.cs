using System.Text.Json;
using System.Text.Json.Serialization;
using VoicePlatform.Contracts.Assistants;

namespace VoicePlatform.Sessions.Features;

/// <summary>
/// LiveKit's standard token endpoint, so that its front ends work unchanged: a session in the room they ask for. Asking again for a
/// conversation that goes on gives its participant a fresh token.
/// </summary>
internal static class IssueToken
{
    private const string AssistantField = "room_config.agents[0].metadata";

    public static void Map(IEndpointRouteBuilder app) => app
        .MapPost("/v1/token", async (Body body, IMediator mediator, Caller caller, CancellationToken ct) =>
        {
            var assistant = await AssistantAsync(body, mediator, caller, ct);
            var started = assistant.IsOk ? await mediator.Send(body.ToRequest(assistant.Value), ct) : assistant.Error;
            return started.ToHttp(s => TypedResults.Json(new Response(s.LivekitUrl!, s.Token!), Json.Options, statusCode: StatusCodes.Status201Created));
        })
        .WithName(nameof(IssueToken))
        .WithTags("Sessions")
        .Produces<Response>(StatusCodes.Status201Created)
        .RequireAuthorization(Scopes.Operate);

    /// <summary>As LiveKit's clients write it; what newer ones add is ignored.</summary>
    [JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Skip)]
    public sealed record Body(
        string? RoomName = null, string? ParticipantIdentity = null, string? ParticipantName = null, string? ParticipantMetadata = null,
        IReadOnlyDictionary<string, string>? ParticipantAttributes = null, RoomConfiguration? RoomConfig = null)
    {
        internal NewSession ToRequest(string assistantId) =>
            new(assistantId, new ParticipantSpec(Given(ParticipantIdentity), Given(ParticipantName), Given(ParticipantMetadata), ParticipantAttributes))
            {
                RoomName = Given(RoomName),
                MayRejoin = true,
            };

        // A field that protobuf left at its default is one that was not given.
        private static string? Given(string? text) => string.IsNullOrEmpty(text) ? null : text;
    }

    [JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Skip)]
    public sealed record RoomConfiguration(IReadOnlyList<Agent>? Agents = null);

    /// <param name="Metadata">JSON with an assistant_id.</param>
    [JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Skip)]
    public sealed record Agent(string? Metadata = null);

    public sealed record Response(string ServerUrl, string ParticipantToken);

    private static async Task<Result<string>> AssistantAsync(Body body, IMediator mediator, Caller caller, CancellationToken ct)
    {
        if (body.RoomConfig?.Agents is [{ Metadata: { Length: > 0 } metadata }, ..])
        {
            try
            {
                using var json = JsonDocument.Parse(metadata);
                if (json.RootElement.TryGetProperty("assistant_id", out var id) && id.GetString() is { } assistantId)
                {
                    return assistantId;
                }
            }
            catch (Exception e) when (e is JsonException or InvalidOperationException)
            {
                return Error.Field(AssistantField, "invalid", $"'{AssistantField}' must be JSON with an 'assistant_id'.");
            }
        }

        // Without a name, there must be no doubt.
        var only = await mediator.Send(new FindOnlyAssistant(caller.TenantId), ct);
        return only.IsOk ? only.Value.AssistantId : Error.Field(AssistantField, "required", $"'{AssistantField}' must name an 'assistant_id': {only.Error.Message}");
    }
}
