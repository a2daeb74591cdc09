using System.Text.Json.Serialization;

namespace VoicePlatform.Sessions.Features;

/// <summary>Seed 004's voice session: /v1/sessions by the seed's field, four fields in its answer.</summary>
internal static class StartVoiceSession004
{
    public static void Map(IEndpointRouteBuilder app) => app
        .MapPost("/v1/voice/sessions", async (Body body, IMediator mediator, CancellationToken ct) =>
        {
            var started = Seed004.RefusalOf(body.AgentId) is { } refusal ? refusal : await mediator.Send(new NewSession(body.AgentId), ct);
            return started.IsOk
                ? Results.Json(new Response(started.Value.RoomName!, started.Value.Token!, started.Value.LivekitUrl!, started.Value.AgentName), Json.Options)
                : Seed004.Answer(started.Error);
        })
        .WithName(nameof(StartVoiceSession004))
        .WithTags("Seed 004")
        .Produces<Response>()
        .RequireAuthorization(Scopes.Operate)
        .ForSeed(SeedRoute.Plain);

    [JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Skip)]
    public sealed record Body(string? AgentId = null);

    /// <param name="Token">For an hour.</param>
    /// <param name="AgentName">What the assistant is called.</param>
    public sealed record Response(string RoomName, string Token, string LivekitUrl, string AgentName);
}
