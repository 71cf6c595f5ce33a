package judge;

import ca.uhn.fhir.context.FhirContext;
import ca.uhn.fhir.context.support.DefaultProfileValidationSupport;
import ca.uhn.fhir.context.support.IValidationSupport;
import ca.uhn.fhir.parser.DataFormatException;
import ca.uhn.fhir.validation.FhirValidator;
import ca.uhn.fhir.validation.ResultSeverityEnum;
import ca.uhn.fhir.validation.SingleValidationMessage;
import ca.uhn.fhir.validation.ValidationOptions;
import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.hl7.fhir.common.hapi.validation.support.CommonCodeSystemsTerminologyService;
import org.hl7.fhir.common.hapi.validation.support.InMemoryTerminologyServerValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.PrePopulatedValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.SnapshotGeneratingValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.UnknownCodeSystemWarningValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.ValidationSupportChain;
import org.hl7.fhir.common.hapi.validation.validator.FhirInstanceValidator;
import org.hl7.fhir.instance.model.api.IBaseResource;
import org.hl7.fhir.r4.model.MetadataResource;
import org.hl7.fhir.r4.model.NamingSystem;
import org.hl7.fhir.r4.model.Resource;
import org.hl7.fhir.r5.utils.validation.constants.BestPracticeWarningLevel;

/**
 * HAPI FHIR's instance validator over the guide: java judge.Judge PROFILES KNOWN_WARNINGS [FOLDER …].
 *
 * <p>Standard output: one JSON object a line and message (file, severity, location, id, text, and for a listed
 * warning the reason it is known by). Standard error: the figures, and every file whose verdict is not the one it
 * should have. Exit 1 when there is such a file. The resources of a further FOLDER are judged and printed only.
 */
public final class Judge {
  private final FhirContext context = FhirContext.forR4();
  private final Gson gson = new GsonBuilder().disableHtmlEscaping().create();
  private final PrintStream out = new PrintStream(System.out, false, StandardCharsets.UTF_8);
  private final Path profiles;
  private final List<KnownWarning> known;
  private final FhirValidator validator;
  private final Map<String, Integer> figures = new TreeMap<>();
  private final List<String> wrong = new ArrayList<>();

  /** One row of known-warnings.json: a regular expression on the text, and why the warning stays. */
  record KnownWarning(String text, String reason) {}

  /** Finds Questionnaires and Measures too, which HAPI's own support leaves out. */
  private static final class Definitions extends PrePopulatedValidationSupport {
    private final Map<String, MetadataResource> byUrl = new HashMap<>();

    Definitions(FhirContext context) {
      super(context);
    }

    void define(MetadataResource resource) {
      addResource(resource);
      byUrl.put(resource.getUrl(), resource);
    }

    /** HAPI asks with a type of null for a definition of any type. */
    @Override
    @SuppressWarnings("unchecked")
    public <T extends IBaseResource> T fetchResource(Class<T> type, String canonical) {
      MetadataResource found = byUrl.get(canonical.split("\\|")[0]);
      boolean fits = found != null && (type == null || type.isInstance(found));
      return fits ? (T) found : super.fetchResource(type, canonical);
    }
  }

  private Judge(Path profiles, Path knownWarnings) throws IOException {
    this.profiles = profiles;
    known = List.of(gson.fromJson(Files.readString(knownWarnings), KnownWarning[].class));
    validator = validator();
  }

  public static void main(String[] arguments) throws IOException {
    Judge judge = new Judge(Path.of(arguments[0]), Path.of(arguments[1]));
    for (Path file : files(judge.profiles)) {
      judge.expect(file, judge.messages(file));
    }
    for (int i = 2; i < arguments.length; i++) {
      for (Path file : files(Path.of(arguments[i]))) {
        judge.count("further", judge.messages(file));
      }
    }
    judge.out.flush();
    judge.figures.forEach((name, count) -> System.err.println(count + " " + name));
    judge.wrong.forEach(System.err::println);
    System.exit(judge.wrong.isEmpty() ? 0 : 1);
  }

  /** R4's own definitions, then everything below profiles/ but the examples; no terminology server. */
  private FhirValidator validator() throws IOException {
    Definitions ours = new Definitions(context);
    for (Path file : files(profiles)) {
      if (!isExample(file)) {
        define(ours, file);
      }
    }
    UnknownCodeSystemWarningValidationSupport unknownSystems = new UnknownCodeSystemWarningValidationSupport(context);
    unknownSystems.setNonExistentCodeSystemSeverity(IValidationSupport.IssueSeverity.WARNING);
    ValidationSupportChain chain =
        new ValidationSupportChain(
            new DefaultProfileValidationSupport(context),
            ours,
            new CommonCodeSystemsTerminologyService(context),
            new InMemoryTerminologyServerValidationSupport(context),
            unknownSystems,
            new SnapshotGeneratingValidationSupport(context));
    chain.setCodeableConceptValidationSuccessfulIfNotAllCodingsAreValid(true);
    References references = new References();
    FhirInstanceValidator module = new FhirInstanceValidator(chain);
    module.setAnyExtensionsAllowed(false);
    module.setValidatorPolicyAdvisor(references);
    module.setValidatorResourceFetcher(references);
    module.setBestPracticeWarningLevel(BestPracticeWarningLevel.Ignore);
    return context.newValidator().registerValidatorModule(module);
  }

  private void define(Definitions ours, Path file) throws IOException {
    try {
      Resource resource = (Resource) context.newJsonParser().parseResource(Files.readString(file));
      if (resource instanceof MetadataResource definition && !(resource instanceof NamingSystem)) {
        ours.define(definition);
      }
    } catch (DataFormatException error) {
      wrong.add(file + ": not read as a definition: " + error.getMessage());
    }
  }

  private boolean isExample(Path file) {
    return profiles.relativize(file).startsWith("examples");
  }

  private List<SingleValidationMessage> messages(Path file) throws IOException {
    List<SingleValidationMessage> messages = judged(Files.readString(file));
    messages.forEach(message -> print(file, message));
    return messages;
  }

  /** HAPI fails on some input that it should judge: then there is one message, with the id judge-crashed. */
  private List<SingleValidationMessage> judged(String text) {
    PrintStream standardError = System.err;
    // HAPI prints the stack of what it catches itself; the figures below are to be readable.
    System.setErr(new PrintStream(OutputStream.nullOutputStream(), false, StandardCharsets.UTF_8));
    try {
      return validator.validateWithResult(text, new ValidationOptions()).getMessages();
    } catch (RuntimeException crash) {
      SingleValidationMessage message = new SingleValidationMessage();
      message.setSeverity(ResultSeverityEnum.FATAL);
      message.setMessageId("judge-crashed");
      message.setMessage(crash.toString());
      return List.of(message);
    } finally {
      System.setErr(standardError);
    }
  }

  private void print(Path file, SingleValidationMessage message) {
    Map<String, String> line = new LinkedHashMap<>();
    line.put("file", file.toString());
    line.put("severity", message.getSeverity().getCode());
    line.put("location", message.getLocationString());
    line.put("id", message.getMessageId());
    line.put("text", message.getMessage());
    if (message.getSeverity() == ResultSeverityEnum.WARNING) {
      line.put("known", reason(message));
    }
    out.println(gson.toJson(line));
  }

  private String reason(SingleValidationMessage message) {
    return known.stream()
        .filter(row -> message.getMessage().matches("(?s).*" + row.text() + ".*"))
        .map(KnownWarning::reason)
        .findFirst()
        .orElse(null);
  }

  /** An artefact and a valid example have no error and no unlisted warning; an invalid one breaks its rule alone. */
  private void expect(Path file, List<SingleValidationMessage> messages) {
    String name = file.getFileName().toString();
    if (!isExample(file)) {
      count("artefacts", messages);
      clean(file, messages);
    } else if (!name.contains("--")) {
      count("valid examples", messages);
      clean(file, messages);
    } else {
      count("invalid examples", messages);
      broken(file, name.substring(name.indexOf("--") + 2, name.length() - ".json".length()), messages);
    }
  }

  private void clean(Path file, List<SingleValidationMessage> messages) {
    for (SingleValidationMessage message : messages) {
      if (isError(message) || (isWarning(message) && reason(message) == null)) {
        wrong.add(file + ": " + message.getLocationString() + ": " + message.getMessage());
      }
    }
  }

  private void broken(Path file, String key, List<SingleValidationMessage> messages) {
    boolean found = false;
    for (SingleValidationMessage message : messages) {
      boolean intended = (message.getMessage() + " " + message.getMessageId()).matches("(?s).*\\b" + key + "\\b.*");
      found |= intended && (isError(message) || isWarning(message));
      if (!intended && (isError(message) || (isWarning(message) && reason(message) == null))) {
        wrong.add(file + ": besides " + key + ": " + message.getLocationString() + ": " + message.getMessage());
      }
    }
    if (!found) {
      wrong.add(file + ": " + key + " was expected.");
    }
  }

  private void count(String kind, List<SingleValidationMessage> messages) {
    figures.merge(kind, 1, Integer::sum);
    for (SingleValidationMessage message : messages) {
      figures.merge(kind + ": " + message.getSeverity().getCode() + " messages", 1, Integer::sum);
    }
  }

  private static boolean isError(SingleValidationMessage message) {
    return message.getSeverity().ordinal() >= ResultSeverityEnum.ERROR.ordinal();
  }

  private static boolean isWarning(SingleValidationMessage message) {
    return message.getSeverity() == ResultSeverityEnum.WARNING;
  }

  private static List<Path> files(Path folder) throws IOException {
    try (Stream<Path> found = Files.walk(folder)) {
      return found.filter(file -> file.toString().endsWith(".json")).sorted().toList();
    }
  }
}
