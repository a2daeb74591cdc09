namespace VoicePlatform.Assistants.Features;

/// <summary>Seed 003's POST /assistant/create.</summary>
internal static class CreateAssistant003
{
    public static void Map(RouteGroupBuilder seed) => seed
        .MapPost("/create", async (Settings003 body, IMediator mediator, CancellationToken ct) =>
        {
            var made = (body.RefusalAsNew() ?? await body.RefusalOfUrlAsync(mediator, ct)) is { } refusal ? refusal : await mediator.Send(new NewAssistant(body.ToDocument()), ct);
            return made.ToHttp(a => SeedRoute.Success("Assistant created", Told003.Of(a)));
        })
        .WithName(nameof(CreateAssistant003));
}
