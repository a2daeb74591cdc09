using VoicePlatform.Calls.Live;

namespace VoicePlatform.Calls.Features;

/// <summary>Makes the assistant say something now.</summary>
internal static class SayOnCall
{
    public static void Map(RouteGroupBuilder calls) => calls
        .MapPost("/{id}/say", async (string id, Body body, Caller caller, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(new Command(caller.TenantId, id, body.Text), ct)).ToHttp(_ => TypedResults.Accepted((string?)null)))
        .WithName(nameof(SayOnCall))
        .Produces(StatusCodes.Status202Accepted);

    public sealed record Body(string? Text);

    public sealed record Command(string TenantId, string CallId, string? Text) : IRequest<Result<Done>>, IEffect;

    internal sealed class Validator : AbstractValidator<Command>
    {
        public Validator() => RuleFor(c => c.Text).NotEmpty().MaximumLength(4_000);
    }

    internal sealed class Handler(LiveCalls live) : IRequestHandler<Command, Result<Done>>
    {
        public async Task<Result<Done>> Handle(Command command, CancellationToken cancellationToken)
        {
            var call = await live.FindAsync(command.TenantId, command.CallId, cancellationToken);
            return call.IsOk ? await live.AskAgentAsync(call.Value, "assistant.say", new { text = command.Text }, cancellationToken) : call.Error;
        }
    }
}
