using System.Text.Json.Serialization;

namespace VoicePlatform.Sessions.Features;

/// <summary>Seed 004's chat session: a text session of /v1/sessions, whose messages and end are at /v1/sessions/{id}.</summary>
internal static class StartChatSession004
{
    public static void Map(IEndpointRouteBuilder app) => app
        .MapPost("/v1/chat/sessions", async (Body body, IMediator mediator, CancellationToken ct) =>
        {
            var started = Seed004.RefusalOf(body.AgentId) is { } refusal ? refusal : await mediator.Send(new NewSession(body.AgentId, TextOnly: true), ct);
            return started.IsOk
                ? Results.Json(new Response(started.Value.SessionId, started.Value.AgentName, started.Value.ExpiresAt), Json.Options)
                : Seed004.Answer(started.Error);
        })
        .WithName(nameof(StartChatSession004))
        .WithTags("Seed 004")
        .Produces<Response>()
        .RequireAuthorization(Scopes.Operate)
        .ForSeed(SeedRoute.Plain);

    [JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Skip)]
    public sealed record Body(string? AgentId = null);

    /// <param name="AgentName">What the assistant is called.</param>
    public sealed record Response(string Id, string AgentName, DateTimeOffset ExpiresAt);
}
