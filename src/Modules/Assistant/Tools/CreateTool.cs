using System.Text.Json;
using VoicePlatform.Assistants.Data;
using VoicePlatform.Contracts.Assistants;
using VoicePlatform.Contracts.Tenants;

namespace VoicePlatform.Assistants.Tools;

/// <summary>Makes a tool that assistants can be given (their 'tools').</summary>
internal static class CreateTool
{
    public static void Map(RouteGroupBuilder tools) => tools
        .MapPost("/", async (JsonElement document, HttpContext http, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(new Command(document), ct)).ToHttp(r => ToolView.Answer(r, http, StatusCodes.Status201Created)))
        .WithName(nameof(CreateTool))
        .Accepts<ToolDocument>("application/json")
        .Produces<ToolView>(StatusCodes.Status201Created);

    public sealed record Command(JsonElement Document) : ICommand<ToolView>;

    internal sealed class Handler(AssistantDb db, IMediator mediator, Caller caller, SecretBox box, AuditLog audit, TimeProvider clock) : IRequestHandler<Command, Result<ToolView>>
    {
        public async Task<Result<ToolView>> Handle(Command command, CancellationToken cancellationToken)
        {
            if (ToolRules.MaskRefusal(command.Document) is { } masked)
            {
                return masked;
            }

            var document = ToolRules.Read(command.Document);
            if (!document.IsOk)
            {
                return document.Error;
            }

            if (await mediator.RefusalOfUrlAsync(document.Value, cancellationToken) is { } refusal)
            {
                return refusal;
            }

            var tool = Tool.Create(caller.TenantId, document.Value, box, clock.GetUtcNow());
            db.Tools.Add(tool);
            await db.SaveChangesAsync(cancellationToken);
            await audit.NoteAsync("tool.created", tool.Id, new { tool.Name, tool.Type }, cancellationToken);
            return ToolView.Of(tool, box);
        }
    }
}

internal static class ToolUrls
{
    /// <summary>An address that the platform may not reach is refused when it is written, not in the middle of a call.</summary>
    public static async Task<Error?> RefusalOfUrlAsync(this IMediator mediator, ToolDocument tool, CancellationToken ct)
    {
        var (url, field) = tool.Webhook is { } webhook ? (webhook.Url, "webhook.url") : (tool.Mcp?.Url, "mcp.url");

        // What a placeholder makes of the host is only known when it is called; the guard is asked again then.
        return url is not null && !url.Contains("{{", StringComparison.Ordinal) && (await mediator.Send(new CheckTenantUrl(url), ct)).Value.Refusal is { } refusal
            ? Error.Field(field, "not_allowed", refusal)
            : null;
    }
}
